/* The C library of a driver is what wdm.h declares. */
#include "wdm.h"
