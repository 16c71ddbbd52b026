/** Graph passes, quantization, search, lowering. */
package org.tersor.passes;
