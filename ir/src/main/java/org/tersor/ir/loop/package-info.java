/**
 * Loop IR: statements and expressions that every backend compiles with one exhaustive switch.
 * {@link LoopInterpreter} is its definition.
 */
package org.tersor.ir.loop;
