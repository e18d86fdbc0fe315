/* Times of a cron line: minute hour day month weekday, in UTC. Each field is `*`, or a list of
 * numbers, ranges a-b and steps (* or a-b)/n; months and weekdays also by their first three
 * letters, Sunday is 0 or 7. When day and weekday are both limited, either of them suffices, as
 * everywhere. */
#ifndef WEIR_SCHEDULER_PIPELINE_CRON_H
#define WEIR_SCHEDULER_PIPELINE_CRON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct weir_cron {
    uint64_t minutes; /* bit n: minute n */
    uint32_t hours, days, months, weekdays;
    bool any_day, any_weekday; /* `*` */
};

/* False: it is none, or names no time there is (30 February); *ret_words then says what is wrong, a
 * text of the program's. */
bool weir_cron_parse(const char *text, size_t size, struct weir_cron *ret_cron,
                     const char **ret_words);
/* The last tick at or before a time (of years 1600 to 9999, in ms since 1970); false: none within
 * the nine years before. */
bool weir_cron_last(const struct weir_cron *cron, int64_t now_ms, int64_t *ret_tick_ms);

#endif
