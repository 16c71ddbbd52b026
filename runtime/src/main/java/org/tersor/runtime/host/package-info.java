/**
 * Operations that are no kernels: strings, sequences, optionals and maps. The closed list of them
 * is {@link org.tersor.runtime.host.HostOps}; further packs come from plugins.
 */
package org.tersor.runtime.host;
