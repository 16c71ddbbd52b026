/**
 * Graph IR: immutable SSA graphs over typed values with symbolic dimensions, and checked edits of
 * them.
 */
package org.tersor.ir.graph;
