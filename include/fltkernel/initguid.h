/* After this DEFINE_GUID defines what it would declare. */
#include "ntdef.h"

#undef DEFINE_GUID
#define DEFINE_GUID(name, d1, d2, d3, b0, b1, b2, b3, b4, b5, b6, b7) \
    EXTERN_C const GUID DECLSPEC_SELECTANY name; \
    EXTERN_C const GUID DECLSPEC_SELECTANY name = { d1, d2, d3, { b0, b1, b2, b3, b4, b5, b6, b7 } }
