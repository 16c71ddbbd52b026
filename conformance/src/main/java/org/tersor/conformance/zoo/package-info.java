/** Published architectures with seeded random weights, for timing. */
@NullMarked
package org.tersor.conformance.zoo;

import org.jspecify.annotations.NullMarked;
