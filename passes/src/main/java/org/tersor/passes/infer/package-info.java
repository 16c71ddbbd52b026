/** Type and shape inference. */
package org.tersor.passes.infer;
