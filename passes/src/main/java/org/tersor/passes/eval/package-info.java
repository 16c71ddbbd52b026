/** Reference evaluation of graphs, node by node. */
package org.tersor.passes.eval;
