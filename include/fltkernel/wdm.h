/* Drivers in general. On Windows wdm.h, ntddk.h and ntifs.h are each a part of the next; here each is the whole. */
#pragma once

#include "fk/calls.h"
#include "fk/seh.h"
