/** Tutorial: a number format of your own. */
package org.tersor.plugins.example;
