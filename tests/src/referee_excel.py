"""The referee's workbooks: as openpyxl reads and writes them."""

import datetime
import zipfile

# What a workbook of one sheet has beside the sheet.
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
TYPES = "http://schemas.openxmlformats.org/package/2006/content-types"
PARTS = {
    "[Content_Types].xml": f'<Types xmlns="{TYPES}">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>'
    '<Override PartName="/xl/sheet.xml" '
    'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/></Types>',
    "_rels/.rels": f'<Relationships xmlns="{RELATIONS}">'
    f'<Relationship Id="r1" Type="{OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}">'
    '<sheets><sheet name="numbers" sheetId="1" r:id="r1"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{RELATIONS}">'
    f'<Relationship Id="r1" Type="{OFFICE}/worksheet" Target="sheet.xml"/></Relationships>',
}


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


def write_numbers(path, batches):
    """One sheet of numbers below the names of their columns; openpyxl takes minutes for a million of them."""
    letters = [chr(ord("A") + at) for at in range(len(batches.schema.names))]
    names = "".join(
        f'<c r="{letter}1" t="inlineStr"><is><t>{name}</t></is></c>' for letter, name in zip(letters, batches.schema.names)
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as book:
        for name, text in PARTS.items():
            book.writestr(name, text)
        with book.open("xl/sheet.xml", "w", force_zip64=True) as sheet:
            sheet.write(f'<worksheet xmlns="{MAIN}"><sheetData><row r="1">{names}</row>'.encode())
            at = 1
            for batch in batches:
                for row in zip(*batch.to_pydict().values()):
                    at += 1
                    cells = "".join(f'<c r="{letter}{at}"><v>{value!r}</v></c>' for letter, value in zip(letters, row))
                    sheet.write(f'<row r="{at}">{cells}</row>'.encode())
            sheet.write(b"</sheetData></worksheet>")
