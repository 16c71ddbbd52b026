/**
 * The demo's own model and data: digits drawn from strokes, and the program that trains a small
 * network on them.
 */
@NullMarked
package org.tersor.conformance.demo;

import org.jspecify.annotations.NullMarked;
