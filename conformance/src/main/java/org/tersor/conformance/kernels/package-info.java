/** Generated kernels against hand-written ones: values and times. */
@org.jspecify.annotations.NullMarked
package org.tersor.conformance.kernels;
