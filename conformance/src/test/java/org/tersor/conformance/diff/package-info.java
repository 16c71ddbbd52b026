@NullMarked
package org.tersor.conformance.diff;

import org.jspecify.annotations.NullMarked;
