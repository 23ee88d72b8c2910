"""The one exception for a user's mistake."""


class UserError(ValueError):
  """Says what, got, expected and what to do, in one line.

  Scripts print it without a traceback and exit with code 2; everything else
  that is raised is a bug of ours and keeps its traceback.
  """
