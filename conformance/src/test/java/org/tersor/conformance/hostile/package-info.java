@NullMarked
package org.tersor.conformance.hostile;

import org.jspecify.annotations.NullMarked;
