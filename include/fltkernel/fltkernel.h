#include "fltKernel.h"
