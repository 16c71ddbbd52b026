package org.tersor.ir.format;

/**
 * How much a format may lose.
 *
 * @param relativeRms largest root mean square of the error of standard normal values, relative to
 *     that of the values
 */
public record ErrorBudget(double relativeRms) {}
