SELECT
  "t6"."value" + "t6"."_right" AS "value"
FROM (
  SELECT
    "t4"."_pos" AS "_pos",
    "t4"."value" AS "value",
    "t5"."_right" AS "_right"
  FROM (
    SELECT
      "t0"."_row" AS "_pos",
      "t0"."value" AS "value"
    FROM "array_a" AS "t0"
  ) AS "t4"
  INNER JOIN (
    SELECT
      "t1"."_row" AS "_pos",
      "t1"."value" AS "_right"
    FROM "array_b" AS "t1"
  ) AS "t5"
    ON "t4"."_pos" = "t5"."_pos"
) AS "t6"
ORDER BY
  "t6"."_pos" ASC
