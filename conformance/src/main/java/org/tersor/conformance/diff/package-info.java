/** Random small graphs, run by Tersor and by ONNX Runtime, compared and explained. */
@NullMarked
package org.tersor.conformance.diff;

import org.jspecify.annotations.NullMarked;
