/** Graph passes, one small class each. */
package org.tersor.passes.graph;
