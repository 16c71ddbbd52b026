/** Scheduling: kernel IR to loop IR for a target. */
package org.tersor.ir.schedule;
