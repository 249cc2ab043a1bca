/* The same promises of the decoder as it is compiled for machines without SSE2. */

#define ND_LOG_NO_SIMD 1
#include "../../../src/store/log_record.c" /* NOLINT(bugprone-suspicious-include) */
#include "test_log_record.c"               /* NOLINT(bugprone-suspicious-include) */
