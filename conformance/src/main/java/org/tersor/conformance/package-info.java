/** ONNX backend suite, differential tests, benchmarks. */
@NullMarked
package org.tersor.conformance;

import org.jspecify.annotations.NullMarked;
