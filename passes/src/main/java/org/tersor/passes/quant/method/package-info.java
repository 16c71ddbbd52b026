/** Methods that choose codes and grids of weights; they work on any number format. */
package org.tersor.passes.quant.method;
