/**
 * Loop IR: statements and expressions that every backend compiles with one exhaustive switch. {@code Interpreter} is its definition.
 */
package org.tersor.ir.loop;
