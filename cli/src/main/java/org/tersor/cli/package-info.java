/** The tersor command. */
@NullMarked
package org.tersor.cli;

import org.jspecify.annotations.NullMarked;
