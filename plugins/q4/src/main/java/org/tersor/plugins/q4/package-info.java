/** A 4-bit block format. */
package org.tersor.plugins.q4;
