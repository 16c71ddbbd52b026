/** Post-training quantization: calibration, plans, materialisation, error reports. */
package org.tersor.passes.quant;
