/** Changes of a float graph that leave its function as it is and make it easier to quantize. */
package org.tersor.passes.equalize;
