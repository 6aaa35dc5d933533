SELECT
  "t9"."value" + "t9"."_right" AS "value"
FROM (
  SELECT
    "t6"."_pos" AS "_pos",
    "t6"."value" AS "value",
    "t8"."_right" AS "_right"
  FROM (
    SELECT
      CASE
        WHEN (
          ROW_NUMBER() OVER (ORDER BY "t2"."_pos" ASC ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) - 1
        ) IS NULL
        THEN NULL
        ELSE accurateCast(
          assumeNotNull(
            ROW_NUMBER() OVER (ORDER BY "t2"."_pos" ASC ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) - 1
          ),
          'UInt64'
        )
      END AS "_pos",
      "t2"."value" AS "value"
    FROM (
      SELECT
        "t0"."_row" AS "_pos",
        "t0"."value" AS "value"
      FROM "array_a" AS "t0"
      WHERE
        "t0"."value" > 1
    ) AS "t2"
  ) AS "t6"
  INNER JOIN (
    SELECT
      "t5"."_pos" AS "_pos",
      "t5"."value" AS "_right"
    FROM (
      SELECT
        CASE
          WHEN (
            ROW_NUMBER() OVER (ORDER BY "t3"."_pos" ASC ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) - 1
          ) IS NULL
          THEN NULL
          ELSE accurateCast(
            assumeNotNull(
              ROW_NUMBER() OVER (ORDER BY "t3"."_pos" ASC ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) - 1
            ),
            'UInt64'
          )
        END AS "_pos",
        "t3"."value" AS "value"
      FROM (
        SELECT
          "t1"."_row" AS "_pos",
          "t1"."value" AS "value"
        FROM "array_b" AS "t1"
        WHERE
          "t1"."value" > 10
      ) AS "t3"
    ) AS "t5"
  ) AS "t8"
    ON "t6"."_pos" = "t8"."_pos"
) AS "t9"
ORDER BY
  "t9"."_pos" ASC
