/* Cron lines: what is one, and the last tick before a time. */
#include "scheduler/pipeline/cron.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static int64_t at(const char *text)
{
    struct tm tm = {0};
    int seconds = 0;
    cr_assert(sscanf(text, "%d-%d-%d %d:%d:%d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour,
                     &tm.tm_min, &seconds) >= 5);
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    tm.tm_sec = seconds;
    return (int64_t)timegm(&tm) * 1000;
}

static void expect_last(const char *line, const char *now, const char *wanted)
{
    struct weir_cron cron;
    const char *words = "";
    int64_t tick = -1;
    cr_assert(weir_cron_parse(line, strlen(line), &cron, &words), "%s: %s", line, words);
    cr_expect(weir_cron_last(&cron, at(now), &tick), "%s has no tick before %s", line, now);
    cr_expect_eq(tick, at(wanted), "%s before %s: %s wanted, %lld there", line, now, wanted,
                 (long long)tick);
}

Test(cron, last)
{
    expect_last("0 6 * * *", "2026-11-23 06:00:00", "2026-11-23 06:00");
    expect_last("0 6 * * *", "2026-11-23 05:59:59", "2026-11-22 06:00");
    expect_last("* * * * *", "2026-11-23 05:59:59", "2026-11-23 05:59");
    expect_last("*/15 * * * *", "2026-11-23 00:14:00", "2026-11-23 00:00");
    expect_last("5-59/10 1,23 * * *", "2026-11-23 00:14", "2026-11-22 23:55");
    expect_last("0 0 1 1 *", "2026-11-23 00:00", "2026-01-01 00:00");
    expect_last("30 4 29 2 *", "2026-11-23 00:00", "2024-02-29 04:30");
    expect_last("30 4 29 feb *", "2103-12-01 00:00", "2096-02-29 04:30");
    expect_last("0 12 * * mon-fri", "2026-11-22 20:00", "2026-11-20 12:00"); /* a Sunday */
    expect_last("0 12 * * 7", "2026-11-23 20:00", "2026-11-22 12:00");
    expect_last("0 12 * * 0", "2026-11-23 20:00", "2026-11-22 12:00");
    expect_last("0 12 * * 5-7", "2026-11-23 20:00", "2026-11-22 12:00");
    /* both limited: either */
    expect_last("0 0 13 * fri", "2026-11-19 12:00", "2026-11-13 00:00");
    expect_last("0 0 18 * fri", "2026-11-19 12:00", "2026-11-18 00:00");
    /* one of them open: both */
    expect_last("0 0 13 * *", "2026-11-19 12:00", "2026-11-13 00:00");
    expect_last("0 0 * * fri", "2026-11-19 12:00", "2026-11-13 00:00");
    expect_last("0 0 1 * *", "1969-12-31 23:59", "1969-12-01 00:00");
}

Test(cron, refused)
{
    static const struct {
        const char *line, *words;
    } wrong[] = {
        {"", "fewer"},
        {"0 6 * *", "fewer"},
        {"0 6 * * * *", "more"},
        {"60 6 * * *", "minute"},
        {"0 24 * * *", "hour"},
        {"0 6 0 * *", "day"},
        {"0 6 32 * *", "day"},
        {"0 6 * 13 *", "month"},
        {"0 6 * * 8", "weekday"},
        {"a 6 * * *", "minute"},
        {"5-1 6 * * *", "minute"},
        {"*/0 6 * * *", "minute"},
        {"5/2 6 * * *", "minute"},
        {", 6 * * *", "minute"},
        {"1, 6 * * *", "minute"},
        {"-1 6 * * *", "minute"},
        {"+1 6 * * *", "minute"},
        {"1- 6 * * *", "minute"},
        {"0 6 30 2 *", "no such day"},
        {"0 6 31 4,6 *", "no such day"},
        {"* 6 * jann *", "month"},
        {"*/ 6 * * *", "minute"},
        {"**  6 * * *", "minute"},
    };
    struct weir_cron cron;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const char *words = "";
        cr_expect_not(weir_cron_parse(wrong[i].line, strlen(wrong[i].line), &cron, &words), "%s",
                      wrong[i].line);
        cr_expect_not_null(strstr(words, wrong[i].words), "%s: %s", wrong[i].line, words);
    }
}
