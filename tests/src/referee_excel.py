"""The referee's workbooks: as openpyxl reads and writes them."""

import datetime


def sheets(path):
    """Names and rows of the sheets, values with what Excel shows of them."""
    import openpyxl

    book = openpyxl.load_workbook(path, data_only=True)
    for sheet in book.worksheets:
        yield sheet.title, [[shown(cell) for cell in row] for row in sheet.iter_rows()]


def shown(cell):
    if isinstance(cell.value, (datetime.date, datetime.time, datetime.timedelta)):
        return f"{cell.value} as {cell.number_format}"
    return cell.value


def write(path, batches):
    """Two sheets with the same names of columns and half of the rows each."""
    import openpyxl

    book = openpyxl.Workbook()
    book.remove(book.active)
    rows = [row for batch in batches for row in batch.to_pylist()]
    half = len(rows) // 2
    for title, part in (("first", rows[:half]), ("second half", rows[half:])):
        sheet = book.create_sheet(title)
        sheet.append(batches.schema.names)
        for row in part:
            sheet.append(list(row.values()))
    book.save(path)
