"""One module a command: options in, one call into the package, result out."""
