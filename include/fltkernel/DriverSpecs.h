#include "suppress.h"
