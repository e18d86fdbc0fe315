/* The XML scanner: what S3 sends, and what an enemy may send. */
#include "connectors/s3/xml_int.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char seen[4000];

static weir_status note(void *argument, const char *parent, const char *name, const char *text,
                        size_t size, struct weir_error *reterr)
{
    cr_expect_eq(strlen(text) <= size, true);
    snprintf(seen + strlen(seen), sizeof seen - strlen(seen), "%s>%s=%s|", parent, name, text);
    return WEIR_OK;
}

static weir_status scan(const char *text)
{
    /* A copy of exactly this size, so that the sanitizer sees a read beyond it. */
    size_t size = strlen(text);
    char *copy = malloc(size ? size : 1);
    memcpy(copy, text, size);
    seen[0] = '\0';
    weir_status status = xml_scan(copy, size, note, NULL, NULL);
    free(copy);
    return status;
}

Test(xml, what_servers_send)
{
    cr_assert_eq(
        scan("<?xml version=\"1.0\"?>\n<!-- hi --><L xmlns='x>y'>\n "
             "<C><K>a&amp;b&lt;&#x41;&#66;&quot;</K><S/></C><s3:T a=\"/>\">t</s3:T ></L>\n"),
        WEIR_OK);
    cr_expect_str_eq(seen, "C>K=a&b<AB\"|C>S=|L>C=|L>T=t|>L=|");
    cr_assert_eq(scan("<a><![CDATA[x<y]]&gt;]]></a>"), WEIR_OK);
    cr_expect_str_eq(seen, ">a=x<y]]&gt;|");
    cr_assert_eq(scan("<a>caf\xc3\xa9 &#233; &#x1F600;</a>"), WEIR_OK);
    cr_expect_str_eq(seen, ">a=caf\xc3\xa9 \xc3\xa9 \xf0\x9f\x98\x80|");
}

Test(xml, what_enemies_send)
{
    static const char *const bad[] = {
        "",
        "x",
        "<",
        "<a",
        "<a>",
        "<a></b>",
        "</a>",
        "<a></a",
        "<a b=\"></a>",
        "<a>&lol;</a>",
        "<a>&#;</a>",
        "<a>&#x;</a>",
        "<a>&#-5;</a>",
        "<a>&#x110000;</a>",
        "<a>&#xD800;</a>",
        "<a>&#0;</a>",
        "<a>&",
        "<a>&#99999999999999999999;</a>",
        "<!DOCTYPE a [<!ENTITY b \"c\">]><a/>",
        "<!--",
        "<!-->",
        "<a><![CDATA[",
        "<a><![CDATA[]]",
        "<?",
        "<a><b></a></b>",
        "< a></a>",
        "<a><",
        "<a></",
        "<a/",
        "<a\xff",
        "<aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/>"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect_eq(scan(bad[i]), WEIR_CORRUPT, "%s", bad[i]);
}

Test(xml, limits)
{
    char deep[2000] = "";
    for (int i = 0; i < 100; i++)
        strcat(deep, "<a>");
    cr_expect_eq(scan(deep), WEIR_CORRUPT);
    char *large = malloc(XML_TEXT_MAX + 100);
    memset(large, 'x', XML_TEXT_MAX + 99);
    memcpy(large, "<a>", 3);
    strcpy(large + XML_TEXT_MAX + 50, "</a>");
    cr_expect_eq(scan(large), WEIR_CORRUPT);
    free(large);
}

/* Every prefix of a good text, and every byte of it changed, must end without a bad access. */
Test(xml, damaged_texts)
{
    const char *good = "<?xml version=\"1.0\"?><L><C><K>a&amp;b&#x41;</K><S/></C><![CDATA[x]]><!-- "
                       "c --><T a=\"b\">t</T></L>";
    char copy[200];
    for (size_t i = 0; i < strlen(good); i++) {
        strcpy(copy, good);
        copy[i] = '\0';
        cr_expect_eq(scan(copy), WEIR_CORRUPT, "%s", copy);
        for (const char *c = "<>&;/!\"]"; *c; c++) {
            strcpy(copy, good);
            copy[i] = *c;
            (void)!scan(copy);
        }
    }
}

Test(xml, finds)
{
    const char *text = "<R><Other><Code>1</Code></Other><Error><Code>SlowDown</Code></Error></R>";
    char code[20] = "";
    cr_expect(xml_find(text, strlen(text), "Error", "Code", code, sizeof code));
    cr_expect_str_eq(code, "SlowDown");
    cr_expect(xml_find(text, strlen(text), NULL, "Code", code, 5));
    cr_expect_str_eq(code, "1");
    cr_expect_not(xml_find(text, strlen(text), "R", "Code", code, sizeof code));
    cr_expect_not(xml_find(NULL, 0, "R", "Code", code, sizeof code));
}
