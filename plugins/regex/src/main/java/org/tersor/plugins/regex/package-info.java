/** Regular expressions on strings, matched in time linear in the text. */
package org.tersor.plugins.regex;
