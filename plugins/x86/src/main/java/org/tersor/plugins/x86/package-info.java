/** Loop IR to x86-64 machine code. */
package org.tersor.plugins.x86;
