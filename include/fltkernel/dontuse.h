/* On Windows this forbids unsafe functions of C. */
#pragma once
