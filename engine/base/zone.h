/* Time zones by name, read from the system's TZif files (RFC 8536), or a fixed offset. Immutable
 * once made; lives in the arena it was made in. */
#ifndef WEIR_ENGINE_BASE_ZONE_H
#define WEIR_ENGINE_BASE_ZONE_H

#include "engine/base/memory.h"

struct weir_zone;

/* "Europe/Berlin", "UTC", "+02:00", "-0330". USAGE: there is no such zone. */
weir_status weir_zone_find(struct weir_arena *arena, const char *name, size_t size,
                           const struct weir_zone **ret_zone,
                           struct weir_error *reterr) WEIR_MUST_CHECK;
/* Seconds that local time is ahead of UTC at that moment (seconds since 1970, UTC). */
int32_t weir_zone_offset(const struct weir_zone *zone, int64_t seconds);
/* The same for a local time. A time that comes twice is the later one's (standard time); one that
 * is left out counts as if the clock had not been moved. PostgreSQL's choices. */
int32_t weir_zone_local_offset(const struct weir_zone *zone, int64_t local_seconds);

#endif
