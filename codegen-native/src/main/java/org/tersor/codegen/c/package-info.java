/** Kernel IR to C and CUDA. */
package org.tersor.codegen.c;
