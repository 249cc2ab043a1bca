/* The same promises of the encoder as it is compiled for machines without SSE2. */

#define ND_ENTRY_NO_SIMD 1
#include "../../../src/helper/entry.c" /* NOLINT(bugprone-suspicious-include) */
#include "test_entry.c"                /* NOLINT(bugprone-suspicious-include) */
