/**
 * Kernel IR: tensor expressions over iteration axes, as in Halide and TVM; its text form is the
 * kernel DSL.
 */
package org.tersor.ir.kernel;
