/**
 * Loop IR to C with vector extensions, and to CUDA; built by the machine's compiler, called through
 * java.lang.foreign.
 */
package org.tersor.codegen.c;
