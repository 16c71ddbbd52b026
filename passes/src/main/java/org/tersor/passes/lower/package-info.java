/** From typed graphs to programs: kernels of every node, schedules, buffers, memory plan. */
package org.tersor.passes.lower;
