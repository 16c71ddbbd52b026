/**
 * A decoder of JPEG 2000 Part 1, written from ISO/IEC 15444-1 (ITU-T T.800), whose clauses and
 * tables the comments name.
 */
package org.tersor.plugins.image.jpeg2000;
