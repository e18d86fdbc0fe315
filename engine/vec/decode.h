/* Records in, batches and refusals out: what every row format's decoder gives. */
#ifndef WEIR_ENGINE_VEC_DECODE_H
#define WEIR_ENGINE_VEC_DECODE_H

#include "engine/vec/vector.h"

/* Why a record was refused. The names are stable: they are quarantine's reason codes and
 * documented. */
enum weir_reason {
    WEIR_REASON_SYNTAX,   /* not the format at all: JSON cut off, wrong bracket, bad escape */
    WEIR_REASON_ENCODING, /* not UTF-8 */
    WEIR_REASON_TYPE,     /* another type than declared */
    WEIR_REASON_RANGE, /* the right type, but does not fit: int overflow, decimal digits, impossible
                          time */
    WEIR_REASON_REQUIRED,      /* a required value is missing or null */
    WEIR_REASON_UNKNOWN_FIELD, /* unknown_fields: quarantine */
    WEIR_REASON_DEPTH,         /* nested deeper than limits.h */
    WEIR_REASON_TOO_LARGE,     /* beyond a size limit */
    WEIR_REASON_EMPTY,         /* no bytes, or only white space */
    WEIR_REASON_NULL,          /* a null value where tombstones are not skipped */
    WEIR_REASON_SCHEMA,        /* the schema it was written with is not to be had, or no use */
    WEIR_REASON_EXPECT,        /* an expectation did not hold; message names it */
    WEIR_REASON_COUNT
};
const char *weir_reason_name(enum weir_reason reason); /* "type" */

struct weir_refusal {
    uint32_t record; /* index into the input records */
    enum weir_reason reason;
    uint32_t position; /* byte in the record; UINT32_MAX = the whole record */
    const char
        *message; /* in the arena: names path and what was wanted; never a value of the record */
};

/* Result of decoding `record_count` records; all memory in the arena given. batch.count +
 * refusal_count = record_count. */
struct weir_decoded {
    struct weir_batch batch;             /* good records, in order */
    const uint32_t *source;              /* batch row -> record index, ascending */
    const struct weir_refusal *refusals; /* ascending by record */
    uint32_t refusal_count;
};

#endif
