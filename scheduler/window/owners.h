/* Whose each record of a run is, where records of several tenants come by one source. Private to
 * the room: ingest.c asks.
 *
 * An owner is decided by the record and tenants.yaml alone, so that each lake, asked at another
 * time or by another run, comes to the same answer. */
#ifndef WEIR_SCHEDULER_WINDOW_OWNERS_H
#define WEIR_SCHEDULER_WINDOW_OWNERS_H

#include "scheduler/window/decode.h"

enum {
    OWNER_UNKNOWN = -1, /* it names one who is no tenant */
    OWNER_NONE = -2,    /* it cannot be read as far as its tenant, or has no value at all */
};

struct owners; /* of one slot */

weir_status owners_new(const struct decode_options *options, const struct weir_tenancy *tenancy,
                       struct owners **ret_owners, struct weir_error *reterr) WEIR_MUST_CHECK;
void owners_free(struct owners *owners); /* NULL-safe */

/* ret_owners[record of the run]: an index into tenancy->tenants, or one of the above. A record that
 * was refused is read once more, for its tenant alone. `decoder` is the one that decoded. In the
 * arena. */
weir_status owners_find(struct owners *owners, struct decoder *decoder,
                        const struct decode_input *input, const struct weir_decoded *decoded,
                        struct weir_arena *arena, int32_t **ret_owners,
                        struct weir_error *reterr) WEIR_MUST_CHECK;

/* Is a record of this owner for that lake? The operator's is for all that no tenant has. */
static inline bool owners_is_mine(const struct weir_tenancy *tenancy, int32_t owner)
{
    return tenancy->self < 0 ? owner < 0 : owner == tenancy->self;
}

#endif
