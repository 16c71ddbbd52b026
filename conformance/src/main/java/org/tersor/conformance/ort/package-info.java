/** ONNX Runtime in a process of its own: the only package that knows it. */
@NullMarked
package org.tersor.conformance.ort;

import org.jspecify.annotations.NullMarked;
