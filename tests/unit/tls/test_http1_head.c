/*
 * What is no request, and what is one for somebody else. All of it is refused
 * before a byte is sent on: a server can read in two ways only what it gets.
 */
#include "h1_world.h"

#include "base/banned.h"

#define HOST_LINE "Host: api.example\r\n"
#define GET_LINE  "GET / HTTP/1.1\r\n"

struct shape {
	const char *status;
	const char *text;
};

static void refuse_all(const struct shape *shapes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct move moves[] = {G(shapes[i].text), END};

		check_refused(0, moves, shapes[i].status);
		check_refused(W_NONE, moves, shapes[i].status);
	}
}

/* ---- heads --------------------------------------------------------------- */

static const struct shape broken_heads[] = {
  /* lines */
	{"400", "GET / HTTP/1.1\nHost: api.example\n\n"                       },
	{"400", GET_LINE "Host: api.example\nX: y\r\n\r\n"                    },
	{"400", GET_LINE HOST_LINE "\n"				       },
	{"400", GET_LINE HOST_LINE "X: a\rb\r\n\r\n"                          },
	{"400", GET_LINE HOST_LINE "X: a\r\r\n\r\n"                           },
	{"400", "\rGET / HTTP/1.1\r\n" HOST_LINE "\r\n"                       },
	{"400", "\nGET / HTTP/1.1\r\n" HOST_LINE "\r\n"                       },
	{"400", GET_LINE HOST_LINE "X: a\x01"
                                   "b\r\n\r\n"                 },
	{"400", GET_LINE HOST_LINE "X: a\x7f\r\n\r\n"                         },
	{"400", GET_LINE HOST_LINE "X: a\x0b\r\n\r\n"                         },
	{"400", GET_LINE HOST_LINE "X: a\r\n b\r\n\r\n"                       },
	{"400", GET_LINE HOST_LINE "X: a\r\n\tb\r\n\r\n"                      },
	{"400", GET_LINE " " HOST_LINE "\r\n"                                 },
	{"400", GET_LINE HOST_LINE " \r\n\r\n"                                },
 /* names */
	{"400", GET_LINE "Host : api.example\r\n\r\n"                         },
	{"400", GET_LINE HOST_LINE "X\t: y\r\n\r\n"                           },
	{"400", GET_LINE HOST_LINE ": y\r\n\r\n"                              },
	{"400", GET_LINE HOST_LINE "no colon\r\n\r\n"                         },
	{"400", GET_LINE HOST_LINE "X(y): z\r\n\r\n"                          },
	{"400", GET_LINE HOST_LINE "X\xc3\xa9: z\r\n\r\n"                     },
	{"400", GET_LINE HOST_LINE "\"X\": z\r\n\r\n"                         },
 /* the first line */
	{"400", "GET /\r\n\r\n"					       },
	{"400", "GET / \r\n" HOST_LINE "\r\n"                                 },
	{"400", "GET  / HTTP/1.1\r\n" HOST_LINE "\r\n"                        },
	{"400", "GET /  HTTP/1.1\r\n" HOST_LINE "\r\n"                        },
	{"400", "GET / HTTP/1.1 \r\n" HOST_LINE "\r\n"                        },
	{"400", " GET / HTTP/1.1\r\n" HOST_LINE "\r\n"                        },
	{"400", "GET /a b HTTP/1.1\r\n" HOST_LINE "\r\n"                      },
	{"400", "GET\t/ HTTP/1.1\r\n" HOST_LINE "\r\n"                        },
	{"400", "GET /\tx HTTP/1.1\r\n" HOST_LINE "\r\n"                      },
	{"400", "GET / HTTP/1.2\r\n" HOST_LINE "\r\n"                         },
	{"400", "GET / HTTP/2.0\r\n" HOST_LINE "\r\n"                         },
	{"400", "GET / http/1.1\r\n" HOST_LINE "\r\n"                         },
	{"400", "GET / HTTP/1.10\r\n" HOST_LINE "\r\n"                        },
	{"400", "GET / HTTP/01.1\r\n" HOST_LINE "\r\n"                        },
	{"400", "GET / XTTP/1.1\r\n" HOST_LINE "\r\n"                         },
	{"400", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"                            },
	{"400", "G(T / HTTP/1.1\r\n" HOST_LINE "\r\n"                         },
	{"400", "GET: / HTTP/1.1\r\n" HOST_LINE "\r\n"                        },
	{"400", "head / HTTP/1.1\r\n" HOST_LINE "\r\n"                        },
	{"400", "Connect / HTTP/1.1\r\n" HOST_LINE "\r\n"                     },
	{"400",
         "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA / HTTP/1.1\r\n" HOST_LINE "\r\n"  },
 /* targets */
	{"400", "GET x HTTP/1.1\r\n" HOST_LINE "\r\n"                         },
	{"400", "GET * HTTP/1.1\r\n" HOST_LINE "\r\n"                         },
	{"400", "GET ?x HTTP/1.1\r\n" HOST_LINE "\r\n"                        },
	{"400", "GET api.example:443 HTTP/1.1\r\n" HOST_LINE "\r\n"           },
	{"400", "GET http://api.example/ HTTP/1.1\r\n" HOST_LINE "\r\n"       },
	{"400", "GET ftp://api.example/ HTTP/1.1\r\n" HOST_LINE "\r\n"        },
	{"400", "GET https:/// HTTP/1.1\r\n" HOST_LINE "\r\n"                 },
	{"400", "GET https:// HTTP/1.1\r\n" HOST_LINE "\r\n"                  },
	{"400", "GET https://a@api.example/ HTTP/1.1\r\n" HOST_LINE "\r\n"    },
	{"400",
         "GET https://api.example@evil.example/ HTTP/1.1\r\n" HOST_LINE "\r\n"},
	{"400", "GET https://api.example\\@evil.example/ HTTP/1.1\r\n" HOST_LINE
                "\r\n"					 },
	{"403", "CONNECT api.example:443 HTTP/1.1\r\n" HOST_LINE "\r\n"       },
	{"403", "CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443"
                "\r\n\r\n"				     },
};

static void heads_that_are_none_are_refused(void **state)
{
	(void)state;
	refuse_all(broken_heads, ARRAY_SIZE(broken_heads));
}

#define WITH_NUL(s)                                                            \
	{                                                                      \
		s, sizeof(s) - 1                                               \
	}

static void a_nul_is_refused(void **state)
{
	static const struct {
		const char *text;
		size_t len;
	} texts[] = {
		WITH_NUL(GET_LINE HOST_LINE "X: a\0b\r\n\r\n"),
		WITH_NUL(GET_LINE HOST_LINE "\0X: b\r\n\r\n"),
		WITH_NUL(GET_LINE HOST_LINE "X\0: b\r\n\r\n"),
		WITH_NUL(GET_LINE "Host: api.example\0.evil\r\n\r\n"),
		WITH_NUL("GET /\0 HTTP/1.1\r\n" HOST_LINE "\r\n"),
		WITH_NUL("POST / HTTP/1.1\r\n" HOST_LINE
	                 "Transfer-Encoding: chunked\0\r\n\r\n"),
	};
	struct world w;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(steps) * ARRAY_SIZE(texts); i++) {
		world_open(&w, 0);
		give(&w, SIDE_GUEST, texts[i % ARRAY_SIZE(texts)].text,
		     texts[i % ARRAY_SIZE(texts)].len,
		     steps[i / ARRAY_SIZE(texts)]);
		assert_int_equal(w.end, -ESHUTDOWN);
		assert_int_equal(w.got[SIDE_SERVER].len, 0);
		world_close(&w);
	}
}

/* ---- hosts --------------------------------------------------------------- */

static const struct shape wrong_hosts[] = {
	{"400", GET_LINE "\r\n"					       },
	{"400", GET_LINE "X: y\r\n\r\n"				       },
	{"400", GET_LINE HOST_LINE HOST_LINE "\r\n"                           },
	{"400", GET_LINE HOST_LINE "host: evil.example\r\n\r\n"               },
	{"400", "GET / HTTP/1.0\r\n" HOST_LINE HOST_LINE "\r\n"               },
	{"421", GET_LINE "Host: evil.example\r\n\r\n"                         },
	{"421", GET_LINE "Host:\r\n\r\n"                                      },
	{"421", "GET / HTTP/1.0\r\nHost: evil.example\r\n\r\n"                },
	{"421", GET_LINE "Host: sub.api.example\r\n\r\n"                      },
	{"421", GET_LINE "Host: example\r\n\r\n"                              },
	{"421", GET_LINE "Host: api.example.evil.example\r\n\r\n"             },
	{"421", GET_LINE "Host: api.example:80\r\n\r\n"                       },
	{"421", GET_LINE "Host: api.example:8443\r\n\r\n"                     },
	{"421", GET_LINE "Host: xn--ap-1ma.example\r\n\r\n"                   },
	{"421", GET_LINE "Host: 1.2.3.4\r\n\r\n"                              },
	{"421", GET_LINE "Host: [::1]\r\n\r\n"                                },
	{"421", GET_LINE "Host: [::1]:443\r\n\r\n"                            },
	{"400", GET_LINE "Host: a@api.example\r\n\r\n"                        },
	{"400", GET_LINE "Host: api.example@evil.example\r\n\r\n"             },
	{"400", GET_LINE "Host: api.example/\r\n\r\n"                         },
	{"400", GET_LINE "Host: api.example/path\r\n\r\n"                     },
	{"400", GET_LINE "Host: https://api.example\r\n\r\n"                  },
	{"400", GET_LINE "Host: api.example evil.example\r\n\r\n"             },
	{"400", GET_LINE "Host: api.example,evil.example\r\n\r\n"             },
	{"400", GET_LINE "Host: api.example, api.example\r\n\r\n"             },
	{"400", GET_LINE "Host: api.example..\r\n\r\n"                        },
	{"400", GET_LINE "Host: .api.example\r\n\r\n"                         },
	{"400", GET_LINE "Host: api..example\r\n\r\n"                         },
	{"400", GET_LINE "Host: api.example:\x34\x34\x33x\r\n\r\n"            },
	{"400", GET_LINE "Host: api.example:+443\r\n\r\n"                     },
	{"400", GET_LINE "Host: api.example:99999\r\n\r\n"                    },
	{"400", GET_LINE "Host: api.example:000443\r\n\r\n"                   },
	{"400", GET_LINE "Host: api.example:0\r\n\r\n"                        },
	{"400", GET_LINE "Host: api.example:443:443\r\n\r\n"                  },
	{"400", GET_LINE "Host: [::1\r\n\r\n"                                 },
	{"400", GET_LINE "Host: [::1]x\r\n\r\n"                               },
	{"400", GET_LINE "Host: []\r\n\r\n"                                   },
	{"400", GET_LINE "Host: [api.example]\r\n\r\n"                        },
	{"400", GET_LINE "Host: ::1\r\n\r\n"                                  },
	{"400", GET_LINE "Host: api.ex\xc3\xa4mple\r\n\r\n"                   },
	{"400", GET_LINE "Host: api%2eexample\r\n\r\n"                        },
	{"400", GET_LINE "Host: *.example\r\n\r\n"                            },
 /* the target says another */
	{"421", "GET https://evil.example/ HTTP/1.1\r\n" HOST_LINE "\r\n"     },
	{"421", "GET https://api.example:80/ HTTP/1.1\r\n" HOST_LINE "\r\n"   },
	{"421", "GET https://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n"
                "\r\n"					 },
	{"421", "GET https://api.example/ HTTP/1.1\r\nHost: evil.example\r\n"
                "\r\n"					 },
	{"421", "GET https://evil.example?@api.example/ HTTP/1.1\r\n" HOST_LINE
                "\r\n"					 },
	{"421",
         "GET https://evil.example#api.example/ HTTP/1.1\r\n" HOST_LINE "\r\n"},
};

static void other_hosts_are_refused(void **state)
{
	(void)state;
	refuse_all(wrong_hosts, ARRAY_SIZE(wrong_hosts));
}

static const char *const right_hosts[] = {
	GET_LINE HOST_LINE "\r\n",
	GET_LINE "Host: API.Example\r\n\r\n",
	GET_LINE "Host: api.example.\r\n\r\n",
	GET_LINE "Host: api.example:443\r\n\r\n",
	GET_LINE "Host: api.example.:443\r\n\r\n",
	GET_LINE "Host: api.example:\r\n\r\n",
	GET_LINE "Host:\t api.example \t\r\n\r\n",
	"GET https://api.example/ HTTP/1.1\r\n" HOST_LINE "\r\n",
	"GET HTTPS://API.example.:443?x HTTP/1.1\r\n" HOST_LINE "\r\n",
	"GET https://api.example HTTP/1.1\r\nHost: api.example:443\r\n\r\n",
	"OPTIONS * HTTP/1.1\r\n" HOST_LINE "\r\n",
	"GET //evil.example/ HTTP/1.1\r\n" HOST_LINE "\r\n",
	"GET / HTTP/1.0\r\n" HOST_LINE "\r\n",
	"GET / HTTP/1.0\r\n\r\n",
	"M-SEARCH /\xc3\xa4 HTTP/1.1\r\n" HOST_LINE "\r\n",
};

static void the_same_host_in_another_spelling_passes(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(right_hosts); i++) {
		const struct move moves[] = {G(right_hosts[i]), END};

		check(0, moves, right_hosts[i], "", 0);
	}
}

/* No name was said in TLS: any host, but never a value. */
static void a_flow_to_an_address_may_name_any_host(void **state)
{
	static const char *const good[] = {
		GET_LINE "Host: 1.2.3.4\r\n\r\n",
		GET_LINE "Host: [2001:db8::1]:443\r\n\r\n",
		GET_LINE "Host: any.example\r\n\r\n",
		GET_LINE "Host:\r\n\r\n",
		"GET https://1.2.3.4/ HTTP/1.1\r\nHost: 1.2.3.4\r\n\r\n",
	};
	static const struct move fronted[] = {
		G("GET https://1.2.3.4/ HTTP/1.1\r\nHost: 1.2.3.5\r\n\r\n"),
		END};
	static const struct move with_key[] = {
		G(GET_LINE HOST_LINE "X: " KEY "\r\n\r\n"), END};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		const struct move moves[] = {G(good[i]), END};

		check(W_ADDRESS, moves, good[i], "", 0);
	}
	check_refused(W_ADDRESS, fronted, "421");
	check_refused(W_ADDRESS, with_key, "403");
}

/* ---- where a body ends --------------------------------------------------- */

#define POST(headers)                                                          \
	"POST / HTTP/1.1\r\n" HOST_LINE headers "\r\n"                         \
	"0\r\n\r\nGET /smuggled HTTP/1.1\r\n" HOST_LINE "\r\n"

static const struct shape two_ends[] = {
	{"400", POST("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")   },
	{"400", POST("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n")   },
	{"400", POST("transfer-encoding: CHUNKED\r\ncontent-length: 0\r\n")   },
	{"400", POST("Content-Length: 5\r\nContent-Length: 6\r\n")            },
	{"400", POST("Content-Length: 5\r\nContent-Length: 5\r\n")            },
	{"400", POST("Content-Length: 5, 5\r\n")                              },
	{"400", POST("Content-Length: 5,6\r\n")                               },
	{"400", POST("Content-Length: +5\r\n")                                },
	{"400", POST("Content-Length: -5\r\n")                                },
	{"400", POST("Content-Length: 5 5\r\n")                               },
	{"400", POST("Content-Length: 5.0\r\n")                               },
	{"400", POST("Content-Length: 5e1\r\n")                               },
	{"400", POST("Content-Length: 0x5\r\n")                               },
	{"400", POST("Content-Length: 05\r\n")                                },
	{"400", POST("Content-Length: \"5\"\r\n")                             },
	{"400", POST("Content-Length: 5;x\r\n")                               },
	{"400", POST("Content-Length:\r\n")                                   },
	{"400", POST("Content-Length: 9223372036854775808\r\n")               },
	{"400", POST("Content-Length: 18446744073709551621\r\n")              },
	{"400", POST("Content-Length: 99999999999999999999999\r\n")           },
	{"400", POST("Content-Length : 5\r\n")                                },
	{"400", POST("Content_Length: 5\r\n")                                 },
	{"400", POST("Content-Length\t: 5\r\n")                               },
	{"400", POST("X: y\r\n Content-Length: 5\r\n")                        },
	{"400", POST("Transfer-Encoding: gzip\r\n")                           },
	{"400", POST("Transfer-Encoding: identity\r\n")                       },
	{"400", POST("Transfer-Encoding: gzip, chunked\r\n")                  },
	{"400", POST("Transfer-Encoding: chunked, gzip\r\n")                  },
	{"400", POST("Transfer-Encoding: chunked, chunked\r\n")               },
	{"400", POST("Transfer-Encoding: chunked, identity\r\n")              },
	{"400", POST("Transfer-Encoding: chunked,\r\n")                       },
	{"400", POST("Transfer-Encoding: ,chunked\r\n")                       },
	{"400", POST("Transfer-Encoding: chunked;q=1\r\n")                    },
	{"400", POST("Transfer-Encoding: \"chunked\"\r\n")                    },
	{"400", POST("Transfer-Encoding: xchunked\r\n")                       },
	{"400", POST("Transfer-Encoding: chunkedx\r\n")                       },
	{"400", POST("Transfer-Encoding:\x0b"
                     "chunked\r\n")                            },
	{"400", POST("Transfer-Encoding: chunked\x0b\r\n")                    },
	{"400", POST("Transfer-Encoding: chunk\r\n ed\r\n")                   },
	{"400", POST("Transfer-Encoding:\r\n chunked\r\n")                    },
	{"400", POST("Transfer-Encoding:\r\n")                                },
	{"400", POST("Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n")},
	{"400", POST("Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n")},
	{"400", POST("Transfer-Encoding: chunked\r\n"
                     "Transfer-Encoding: chunked\r\n")         },
	{"400", POST("Transfer-Encoding : chunked\r\n")                       },
	{"400", POST("Transfer_Encoding: chunked\r\n")                        },
	{"400", POST("TRANSFER_ENCODING: chunked\r\nContent-Length: 5\r\n")   },
	{"400", POST("X: y\rTransfer-Encoding: chunked\r\n")                  },
	{"400", POST("X: y\nTransfer-Encoding: chunked\r\n")                  },
	{"400", POST("Connection: Content-Length\r\nContent-Length: 5\r\n")   },
	{"400", POST("Connection: close, transfer-encoding\r\n"
                     "Transfer-Encoding: chunked\r\n")         },
	{"400", POST("Connection: keep-alive,host\r\n")                       },
	{"400", "POST / HTTP/1.0\r\n" HOST_LINE
                "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"  },
};

static void bodies_with_two_ends_are_refused(void **state)
{
	(void)state;
	refuse_all(two_ends, ARRAY_SIZE(two_ends));
}

/* Names that only look like those that frame a body are none. */
static void strange_but_clear_heads_pass(void **state)
{
	static const char *const texts[] = {
		"GET / HTTP/1.1\r\n" HOST_LINE "Content-Length: 0\r\n\r\n",
		"GET / HTTP/1.1\r\n" HOST_LINE "X-Content-Length: 5\r\n\r\n",
		"GET / HTTP/1.1\r\n" HOST_LINE
		"Transfer-Encodings: chunked\r\n\r\n",
		"GET / HTTP/1.1\r\n" HOST_LINE "TE: chunked\r\n\r\n",
		"GET / HTTP/1.1\r\n" HOST_LINE "!#$%&'*+.^`|~: x\r\n\r\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		const struct move moves[] = {G(texts[i]), G(texts[i]), END};
		char want[512];

		snprintf(want, sizeof(want), "%s%s", texts[i], texts[i]);
		check(0, moves, want, "", 0);
	}
}

/* ---- size ---------------------------------------------------------------- */

static char *long_head(size_t filler, unsigned fields)
{
	cleanup_buf struct buf b = BUF_INIT;

	(void)buf_adds(&b, GET_LINE HOST_LINE);
	for (unsigned i = 0; i + 1 < fields; i++)
		(void)buf_adds(&b, "a:b\r\n");
	if (filler) {
		(void)buf_adds(&b, "f: ");
		while (b.len < filler)
			(void)buf_addc(&b, 'x');
		(void)buf_adds(&b, "\r\n");
	}
	(void)buf_adds(&b, "\r\n");
	return buf_steal(&b);
}

static void play_long(size_t filler, unsigned fields, bool passes)
{
	char *text = long_head(filler, fields);
	const struct move moves[] = {G(text), END};

	assert_non_null(text);
	if (passes)
		check(0, moves, text, "", 0);
	else
		check_refused(0, moves, "431");
	free(text);
}

static void a_head_is_64_kib_and_1024_fields_at_most(void **state)
{
	(void)state;
	play_long((64 << 10) - 4, 1, true); /* exactly, with two CR LF */
	play_long((64 << 10) - 3, 1, false);
	play_long(100 << 10, 1, false);
	play_long(0, 1024, true);
	play_long(0, 1025, false);
	play_long(0, 5000, false);
}

static void a_head_without_end_is_refused_when_it_is_too_long(void **state)
{
	struct world w;
	char x[1024];

	(void)state;
	memset(x, 'x', sizeof(x));
	world_open(&w, 0);
	for (int i = 0; i < 65; i++)
		give(&w, SIDE_GUEST, x, sizeof(x), 0);
	assert_int_equal(w.end, -ESHUTDOWN);
	assert_memory_equal(buf_str(&w.got[SIDE_GUEST]), "HTTP/1.1 431 ", 13);
	world_close(&w);
}

/* ---- words --------------------------------------------------------------- */

static void a_refusal_says_what_to_do_and_is_logged(void **state)
{
	struct world w;

	(void)state;
	world_open(&w, 0);
	give(&w, SIDE_GUEST, GET_LINE "Host: evil.example\r\n\r\n",
	     strlen(GET_LINE "Host: evil.example\r\n\r\n"), 0);
	assert_non_null(strstr(buf_str(&w.got[SIDE_GUEST]),
	                       "which is for api.example port 443"));
	assert_non_null(strstr(buf_str(&w.said), "api.example"));
	assert_null(strstr(buf_str(&w.said), "evil.example"));
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(heads_that_are_none_are_refused),
		cmocka_unit_test(a_nul_is_refused),
		cmocka_unit_test(other_hosts_are_refused),
		cmocka_unit_test(the_same_host_in_another_spelling_passes),
		cmocka_unit_test(a_flow_to_an_address_may_name_any_host),
		cmocka_unit_test(bodies_with_two_ends_are_refused),
		cmocka_unit_test(strange_but_clear_heads_pass),
		cmocka_unit_test(a_head_is_64_kib_and_1024_fields_at_most),
		cmocka_unit_test(
			a_head_without_end_is_refused_when_it_is_too_long),
		cmocka_unit_test(a_refusal_says_what_to_do_and_is_logged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
