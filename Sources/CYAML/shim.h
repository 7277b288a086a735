// libyaml (Debian: libyaml-dev). Only the Settings module imports it, and only the parser half of it.
#include <yaml.h>
