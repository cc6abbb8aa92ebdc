#include "../fltuserstructures.h"
